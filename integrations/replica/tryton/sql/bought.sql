-- What was bought of products at a supplier, the newest order first.
SELECT l.product, l.quantity::numeric AS quantity, l.unit_price, c.code AS currency
FROM purchase_line l
JOIN purchase_purchase p ON p.id = l.purchase
JOIN currency_currency c ON c.id = p.currency
WHERE l.product = ANY(%(products)s) AND p.party = %(party)s AND p.company = %(company)s
    AND p.state IN ('processing', 'done')
ORDER BY p.purchase_date DESC, l.id DESC
