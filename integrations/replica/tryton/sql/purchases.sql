-- Purchase orders of the company with their supplier, by number.
SELECT p.id, COALESCE(p.number, '') AS number, COALESCE(p.reference, '') AS reference, p.revision, p.state,
    p.party, COALESCE(NULLIF(party.name, ''), '[' || party.code || ']') AS party_name,
    p.purchase_date, p.delivery_date, p.shipment_state, p.invoice_state,
    c.code AS currency, c.rounding,
    CASE WHEN p.state IN ('confirmed', 'done', 'cancelled') AND p.tax_amount_cache IS NOT NULL
        AND p.total_amount_cache IS NOT NULL THEN p.untaxed_amount_cache END AS untaxed
FROM purchase_purchase p
JOIN party_party party ON party.id = p.party
JOIN currency_currency c ON c.id = p.currency
WHERE p.company = %(company)s
    AND (p.id = %(order)s OR (%(order)s::int IS NULL AND p.state IN ('draft', 'quotation', 'confirmed', 'processing')))
ORDER BY p.id
