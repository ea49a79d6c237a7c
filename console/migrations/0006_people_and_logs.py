"""What people do by hand and say of it, and how far the systems' own change logs were compared."""

import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models

# Frozen here: the tables of this migration that refuse update and delete.
APPEND_ONLY = ("console_confirmation", "console_orphanwrite")

GUARDS = """
CREATE FUNCTION console_task_is_countersigned() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.state = 'awaiting_person' AND NOT EXISTS (
        SELECT FROM console_decision d WHERE d.proposal_id = NEW.id AND d.answer = 'approve'
    ) THEN
        RAISE EXCEPTION 'proposal %: nobody approved what a person shall do', NEW.ref
            USING ERRCODE = 'restrict_violation';
    END IF;
    IF OLD.state = 'awaiting_person' AND NEW.state = 'committed' AND NOT EXISTS (
        SELECT FROM console_confirmation c WHERE c.proposal_id = NEW.id AND c.answer = 'done'
    ) THEN
        RAISE EXCEPTION 'proposal %: no person said that it is done', NEW.ref
            USING ERRCODE = 'restrict_violation';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER console_task_is_countersigned BEFORE UPDATE ON console_proposal
    FOR EACH ROW
    WHEN (NEW.state IS DISTINCT FROM OLD.state
          AND (NEW.state = 'awaiting_person' OR OLD.state = 'awaiting_person'))
    EXECUTE FUNCTION console_task_is_countersigned();
"""

UNGUARD = """
DROP TRIGGER console_task_is_countersigned ON console_proposal;
DROP FUNCTION console_task_is_countersigned();
"""


class Migration(migrations.Migration):
    """Three tables, the latency of a connection, and the last line behind tasks."""

    dependencies = [
        ('console', '0005_latest_snapshot'),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.AddField(
            model_name='connection',
            name='latency_ms',
            field=models.PositiveIntegerField(blank=True, null=True),
        ),
        migrations.CreateModel(
            name='Confirmation',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('answer', models.CharField(choices=[('done', 'Done, as countersigned'), ('not_done', 'Not done, and it will not be'), ('unsure', 'Not sure, or done otherwise')], max_length=10)),
                ('note', models.CharField(max_length=1000)),
                ('digest', models.CharField(max_length=64)),
                ('name', models.CharField(max_length=150)),
                ('role', models.CharField(max_length=30)),
                ('meaning', models.CharField(max_length=200)),
                ('at', models.DateTimeField()),
                ('assessment', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='confirmations', to='console.assessment')),
                ('by', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='confirmations', to=settings.AUTH_USER_MODEL)),
                ('proposal', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='confirmations', to='console.proposal')),
            ],
            options={
                'indexes': [models.Index(fields=['proposal', '-id'], name='newest_confirmation')],
            },
        ),
        migrations.CreateModel(
            name='LogWatch',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('purpose', models.CharField(max_length=64)),
                ('since', models.DateTimeField()),
                ('seen_until', models.DateTimeField()),
                ('error', models.CharField(blank=True, max_length=300)),
                ('failing_since', models.DateTimeField(blank=True, null=True)),
                ('connection', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='watches', to='console.connection')),
            ],
            options={
                'constraints': [models.UniqueConstraint(fields=('connection', 'purpose'), name='one_watch_per_account')],
            },
        ),
        migrations.CreateModel(
            name='OrphanWrite',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('purpose', models.CharField(max_length=64)),
                ('key', models.CharField(max_length=64)),
                ('account', models.CharField(max_length=150)),
                ('record', models.CharField(max_length=200)),
                ('event', models.CharField(max_length=64)),
                ('at', models.DateTimeField()),
                ('detail', models.JSONField(default=dict)),
                ('found_at', models.DateTimeField()),
                ('connection', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='orphan_writes', to='console.connection')),
                ('incident', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='orphan_writes', to='console.incident')),
            ],
            options={
                'constraints': [models.UniqueConstraint(fields=('connection', 'purpose', 'key'), name='orphan_write_once')],
            },
        ),
        migrations.RunSQL(GUARDS, UNGUARD),
        *(
            migrations.RunSQL(
                f"CREATE TRIGGER {table}_append_only BEFORE UPDATE OR DELETE ON {table} "
                "FOR EACH ROW EXECUTE FUNCTION console_append_only();",
                migrations.RunSQL.noop,
            )
            for table in APPEND_ONLY
        ),
    ]
