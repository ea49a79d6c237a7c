-- What purchase orders under way should have brought before today. Tryton forgets a day that was over when the order
-- was processed; the order itself keeps it.
SELECT l.purchase, l.id AS line, COALESCE(m.planned_date, p.delivery_date) AS day, m.quantity::numeric AS quantity
FROM purchase_line l
JOIN purchase_purchase p ON p.id = l.purchase AND p.company = %(company)s AND p.state = 'processing'
JOIN stock_move m ON m.origin = 'purchase.line,' || l.id AND m.state IN ('draft', 'assigned')
WHERE l.purchase = ANY(%(orders)s) AND l.type = 'line' AND l.unit IS NOT NULL
    AND COALESCE(m.planned_date, p.delivery_date) < %(today)s
ORDER BY l.purchase, l.sequence NULLS FIRST, l.id, m.id DESC
