"""One index for the audit log's words and marks, see `WORDS_AND_MARKS` in `console/models/audit.py`."""

from django.contrib.postgres.indexes import GinIndex
from django.contrib.postgres.search import SearchVectorField
from django.db import migrations
from django.db.models import F, Func

FOUND_BY = """
CREATE FUNCTION audit_found_by(words text, id bigint, verb text, kind text, actor text) RETURNS tsvector
LANGUAGE sql IMMUTABLE PARALLEL SAFE RETURN
    to_tsvector('simple'::regconfig, words)
    || array_to_tsvector(ARRAY[
        ' 12.' || (id >> 12)::text, ' 15.' || (id >> 15)::text, ' 18.' || (id >> 18)::text, ' 21.' || (id >> 21)::text,
        ' v' || verb, ' k' || kind, ' a' || actor
    ])
"""


class Migration(migrations.Migration):
    """Builds one index anew: some 30 seconds for a million entries, in which nothing is recorded."""

    dependencies = [
        ("console", "0021_input_drift"),
    ]

    operations = [
        migrations.RunSQL(FOUND_BY, "DROP FUNCTION audit_found_by"),
        migrations.RemoveIndex(model_name="auditentry", name="audit_kind"),
        migrations.RemoveIndex(model_name="auditentry", name="audit_words"),
        migrations.AddIndex(
            model_name="auditentry",
            index=GinIndex(
                Func(
                    F("words"),
                    F("id"),
                    F("verb"),
                    F("actor_kind"),
                    F("actor_id"),
                    function="audit_found_by",
                    output_field=SearchVectorField(),
                ),
                name="audit_words",
            ),
        ),
    ]
