-- What production orders take in, one row a move; cancelled moves do not count. The newest first, as Tryton has them.
SELECT m.production_input AS production, m.product, m.state,
    CASE WHEN pp.code <> '' THEN '[' || pp.code || '] ' || t.name ELSE t.name END AS name,
    m.quantity::numeric AS quantity, m.internal_quantity::numeric AS internal_quantity, u.name AS unit, u.digits
FROM stock_move m
JOIN product_product pp ON pp.id = m.product
JOIN product_template t ON t.id = pp.template
JOIN product_uom u ON u.id = m.unit
WHERE m.production_input = ANY(%(orders)s) AND m.company = %(company)s AND m.state <> 'cancelled'
ORDER BY m.id DESC
