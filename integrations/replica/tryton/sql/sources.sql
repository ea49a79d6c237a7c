-- Who sells a product, in the order people chose.
SELECT s.party, COALESCE(NULLIF(party.name, ''), '[' || party.code || ']') AS party_name, s.lead_time
FROM purchase_product_supplier s
JOIN product_template t ON t.id = s.template
LEFT JOIN product_product pp ON pp.id = s.product
JOIN party_party party ON party.id = s.party
WHERE s.company = %(company)s AND s.active AND t.active AND COALESCE(pp.active, true)
    AND (s.product = %(product)s OR (s.product IS NULL AND s.template = %(template)s))
ORDER BY s.sequence, s.id
