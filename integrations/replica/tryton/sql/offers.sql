-- What a supplier sells: one row an offer, with the products it is for and the price of the smallest quantity.
SELECT s.id, s.product, s.template, s.lead_time, c.code AS currency,
    (SELECT r.unit_price FROM purchase_product_supplier_price r WHERE r.product_supplier = s.id
        ORDER BY r.quantity, r.sequence NULLS FIRST, r.id LIMIT 1) AS unit_price,
    (SELECT min(r.quantity) FROM purchase_product_supplier_price r WHERE r.product_supplier = s.id) AS from_quantity,
    CASE WHEN s.product IS NOT NULL THEN ARRAY[s.product] ELSE ARRAY(
        SELECT o.id FROM product_product o WHERE o.template = s.template AND o.active) END AS products
FROM purchase_product_supplier s
JOIN product_template t ON t.id = s.template
LEFT JOIN product_product pp ON pp.id = s.product
JOIN currency_currency c ON c.id = s.currency
WHERE s.party = %(party)s AND s.company = %(company)s AND s.active AND t.active AND COALESCE(pp.active, true)
ORDER BY s.sequence NULLS FIRST, s.id
