-- The lines of purchase orders, in the order people see them. received: done moves. delivery_date: what is still to
-- come and in no shipment yet, else what Tryton answers: the first day of the line's moves, else the line's own day,
-- else the order's, else the supplier's lead time from the day of the order.
SELECT l.purchase, l.id, l.type, l.product,
    COALESCE(CASE WHEN pp.code <> '' THEN '[' || pp.code || '] ' || t.name ELSE t.name END, l.description, '') AS name,
    l.quantity::numeric AS quantity, u.name AS unit, u.digits, l.unit_price,
    moved.received,
    COALESCE(moved.open_day, CASE
        WHEN moved.many > 0 THEN moved.first_day
        WHEN l.delivery_date_edit THEN l.delivery_date_store
        WHEN p.delivery_date IS NOT NULL THEN p.delivery_date
        WHEN l.quantity > 0 THEN (COALESCE(p.purchase_date, %(today)s::date) + COALESCE(s.lead_time, (
            SELECT d.supplier_lead_time FROM party_party_supplier_lead_time d
            WHERE d.party = p.party AND (d.company = p.company OR d.company IS NULL)
            ORDER BY d.company NULLS LAST, d.id LIMIT 1)))::date
    END) AS delivery_date
FROM purchase_line l
JOIN purchase_purchase p ON p.id = l.purchase AND p.company = %(company)s
LEFT JOIN product_product pp ON pp.id = l.product
LEFT JOIN product_template t ON t.id = pp.template
LEFT JOIN product_uom u ON u.id = l.unit
LEFT JOIN purchase_product_supplier s ON s.id = l.product_supplier
CROSS JOIN LATERAL (
    SELECT count(*) FILTER (WHERE m.state <> 'cancelled') AS many,
        COALESCE(sum(m.quantity::numeric) FILTER (WHERE m.state = 'done'), 0) AS received,
        min(m.planned_date) FILTER (WHERE m.state = 'draft' AND m.shipment IS NULL) AS open_day,
        min(COALESCE(m.effective_date, m.planned_date)) FILTER (WHERE m.state <> 'cancelled') AS first_day
    FROM stock_move m WHERE m.origin = 'purchase.line,' || l.id
) moved
WHERE l.purchase = ANY(%(orders)s)
ORDER BY l.purchase, l.sequence NULLS FIRST, l.id
