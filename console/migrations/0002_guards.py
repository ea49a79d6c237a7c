"""The database's own guards: the last line behind the code.

1. Audit entries get their time, their place in the chain and their hash from the database.
2. Append-only tables refuse update and delete, for every role that has not switched triggers off.
3. A change of state without exactly one audit entry of the new version does not commit.
4. A proposal in a final state does not leave it, and a revealed one never gets an attempt.

TRUNCATE is not refused by a trigger: tests flush with it as the owner. The application's role has no right to it.
"""

from django.db import migrations

# Frozen here: a table that becomes append-only later gets its trigger in a migration of its own.
APPEND_ONLY = (
    "console_auditentry",
    "console_auditleaf",
    "console_checkpoint",
    "console_reading",
    "console_revision",
    "console_cited",
    "console_assessment",
    "console_decision",
    "console_attemptnote",
    "console_readback",
    "console_probe",
)

GUARDS = """
CREATE FUNCTION console_audit_chain() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    -- Held to the end of the transaction: the sequencer sees who has taken a number and is not done yet.
    PERFORM pg_advisory_xact_lock_shared(20816, 1);
    -- One writer per chain at a time; a proposal's row is locked already by its own update.
    PERFORM pg_advisory_xact_lock(hashtextextended(NEW.chain, 0));
    -- Taken anew under the locks: the number from the column's default may be older than the chain's last entry.
    NEW.id := nextval('console_auditentry_id_seq');
    SELECT e.hash INTO NEW.previous FROM console_auditentry e
        WHERE e.chain = NEW.chain ORDER BY e.id DESC LIMIT 1;
    NEW.previous := coalesce(NEW.previous, '');
    NEW.at := clock_timestamp();
    NEW.hash := encode(sha256(convert_to(
        NEW.previous || E'\\n' || (extract(epoch FROM NEW.at) * 1000000)::bigint::text || E'\\n' || NEW.body,
        'UTF8')), 'hex');
    RETURN NEW;
END $$;
CREATE TRIGGER console_audit_chain BEFORE INSERT ON console_auditentry
    FOR EACH ROW EXECUTE FUNCTION console_audit_chain();

CREATE FUNCTION console_append_only() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '% on % is refused: it is append-only', TG_OP, TG_TABLE_NAME
        USING ERRCODE = 'restrict_violation';
END $$;

CREATE FUNCTION console_state_has_entry() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    entries integer;
BEGIN
    IF TG_OP = 'UPDATE' AND NEW.version <> OLD.version + 1 THEN
        RAISE EXCEPTION 'proposal %: state % to % without version + 1', NEW.ref, OLD.state, NEW.state
            USING ERRCODE = 'restrict_violation';
    END IF;
    SELECT count(*) INTO entries FROM console_auditentry e
        WHERE e.proposal_id = NEW.id AND e.proposal_version = NEW.version;
    IF entries <> 1 THEN
        RAISE EXCEPTION 'proposal %: version % has % audit entries, one is needed', NEW.ref, NEW.version, entries
            USING ERRCODE = 'restrict_violation';
    END IF;
    RETURN NULL;
END $$;
CREATE CONSTRAINT TRIGGER console_new_state_has_entry AFTER UPDATE ON console_proposal
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW
    WHEN (NEW.state IS DISTINCT FROM OLD.state OR NEW.version IS DISTINCT FROM OLD.version)
    EXECUTE FUNCTION console_state_has_entry();
CREATE CONSTRAINT TRIGGER console_first_state_has_entry AFTER INSERT ON console_proposal
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION console_state_has_entry();

CREATE FUNCTION console_final_is_final() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'proposal %: % is final', OLD.ref, OLD.state USING ERRCODE = 'restrict_violation';
END $$;
CREATE TRIGGER console_final_is_final BEFORE UPDATE ON console_proposal
    FOR EACH ROW
    WHEN (OLD.state IN ('committed', 'commit_failed', 'refused', 'rejected', 'withdrawn', 'expired', 'shadowed',
                        'revealed') AND NEW.state IS DISTINCT FROM OLD.state)
    EXECUTE FUNCTION console_final_is_final();

CREATE FUNCTION console_attempt_of_approved() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    agreed integer;
    holding text;
BEGIN
    SELECT p.state INTO holding FROM console_proposal p WHERE p.id = NEW.proposal_id;
    SELECT count(*) INTO agreed FROM console_decision d
        WHERE d.assessment_id = NEW.assessment_id AND d.proposal_id = NEW.proposal_id AND d.answer = 'approve' AND d.digest = NEW.digest;
    IF holding IS DISTINCT FROM 'committing' OR agreed = 0 THEN
        RAISE EXCEPTION 'attempt refused: nobody approved %, or it is not committing', NEW.digest
            USING ERRCODE = 'restrict_violation';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER console_attempt_of_approved BEFORE INSERT ON console_attempt
    FOR EACH ROW EXECUTE FUNCTION console_attempt_of_approved();
"""

UNGUARD = """
DROP TRIGGER console_attempt_of_approved ON console_attempt;
DROP FUNCTION console_attempt_of_approved();
DROP TRIGGER console_final_is_final ON console_proposal;
DROP FUNCTION console_final_is_final();
DROP TRIGGER console_first_state_has_entry ON console_proposal;
DROP TRIGGER console_new_state_has_entry ON console_proposal;
DROP FUNCTION console_state_has_entry();
DROP TRIGGER console_audit_chain ON console_auditentry;
DROP FUNCTION console_audit_chain();
"""


class Migration(migrations.Migration):
    """Triggers only; no table changes."""

    dependencies = [("console", "0001_tables")]

    operations = [
        migrations.RunSQL(GUARDS, UNGUARD + "DROP FUNCTION console_append_only() CASCADE;"),
        *(
            migrations.RunSQL(
                f"CREATE TRIGGER {table}_append_only BEFORE UPDATE OR DELETE ON {table} "
                "FOR EACH ROW EXECUTE FUNCTION console_append_only();",
                migrations.RunSQL.noop,
            )
            for table in APPEND_ONLY
        ),
    ]
