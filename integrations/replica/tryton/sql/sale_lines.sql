-- The lines of sales orders, in the order people see them; shipped: done moves.
SELECT l.sale, l.id, l.type, l.product,
    COALESCE(CASE WHEN pp.code <> '' THEN '[' || pp.code || '] ' || t.name ELSE t.name END, l.description, '') AS name,
    l.quantity::numeric AS quantity, u.name AS unit, u.digits, l.unit_price,
    COALESCE((SELECT sum(m.quantity::numeric) FROM stock_move m
        WHERE m.origin = 'sale.line,' || l.id AND m.state = 'done'), 0) AS shipped
FROM sale_line l
JOIN sale_sale s ON s.id = l.sale AND s.company = %(company)s
LEFT JOIN product_product pp ON pp.id = l.product
LEFT JOIN product_template t ON t.id = pp.template
LEFT JOIN product_uom u ON u.id = l.unit
WHERE l.sale = ANY(%(orders)s)
ORDER BY l.sale, l.sequence NULLS FIRST, l.id
