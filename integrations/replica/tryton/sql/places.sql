-- What of a product lies in each storage place itself, done until today.
SELECT l.name AS location,
    COALESCE(sum(CASE WHEN m.to_location = l.id THEN m.internal_quantity::numeric ELSE 0 END)
        - sum(CASE WHEN m.from_location = l.id THEN m.internal_quantity::numeric ELSE 0 END), 0) AS there
FROM stock_location l
LEFT JOIN stock_move m ON l.id IN (m.from_location, m.to_location) AND m.product = %(product)s
    AND m.company = %(company)s AND m.state = 'done' AND COALESCE(m.effective_date, m.planned_date) <= %(today)s
WHERE l.type = 'storage' AND l.parent IS NOT NULL AND l.active
GROUP BY l.id
ORDER BY l.name, l.id
