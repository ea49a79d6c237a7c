-- A party, active or not.
SELECT id, name, active FROM party_party WHERE id = %(party)s
