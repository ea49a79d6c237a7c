-- Sales orders of the company with their customer, by number.
SELECT s.id, COALESCE(s.number, '') AS number, COALESCE(s.reference, '') AS reference, s.revision, s.state,
    COALESCE(NULLIF(party.name, ''), '[' || party.code || ']') AS party_name,
    s.sale_date, s.shipping_date, s.shipment_state, s.invoice_state, c.code AS currency, c.rounding,
    CASE WHEN s.state IN ('confirmed', 'processing', 'done', 'cancelled') AND s.tax_amount_cache IS NOT NULL
        AND s.total_amount_cache IS NOT NULL THEN s.untaxed_amount_cache END AS untaxed
FROM sale_sale s
JOIN party_party party ON party.id = s.party
JOIN currency_currency c ON c.id = s.currency
WHERE s.company = %(company)s
    AND (s.id = %(order)s OR (%(order)s::int IS NULL AND s.state IN ('draft', 'quotation', 'confirmed', 'processing')))
ORDER BY s.id
