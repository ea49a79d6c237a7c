-- What is on its way of products, by day: from suppliers and from productions not done.
SELECT m.product, m.planned_date AS day, m.internal_quantity::numeric AS quantity
FROM stock_move m
JOIN stock_location f ON f.id = m.from_location
JOIN stock_location t ON t.id = m.to_location
WHERE m.product = ANY(%(products)s) AND m.company = %(company)s AND m.state IN ('staging', 'draft')
    AND t.type IN ('storage', 'view') AND f.type IN ('supplier', 'production') AND m.planned_date IS NOT NULL
ORDER BY m.planned_date, m.id
