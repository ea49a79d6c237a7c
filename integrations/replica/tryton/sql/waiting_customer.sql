-- The day on which a customer's shipment waits for a product first.
SELECT m.planned_date AS day
FROM stock_move m
JOIN stock_location t ON t.id = m.to_location
JOIN stock_shipment_out s ON m.shipment = 'stock.shipment.out,' || s.id
WHERE m.product = %(product)s AND m.company = %(company)s AND m.state IN ('staging', 'draft')
    AND s.state IN ('draft', 'waiting') AND t.type = 'customer'
ORDER BY m.planned_date, m.id
LIMIT 1
