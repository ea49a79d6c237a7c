"""Callbacks: what systems that accepted something told us later, and what was made of it."""

import django.db.models.deletion
from django.db import migrations, models

# Frozen here: the tables of this migration that refuse update and delete.
APPEND_ONLY = ("console_callback", "console_hearing")


class Migration(migrations.Migration):
    """Two tables."""

    dependencies = [('console', '0008_rests')]

    operations = [
        migrations.CreateModel(
            name='Callback',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('message_id', models.CharField(max_length=128)),
                ('headers', models.JSONField()),
                ('raw', models.BinaryField()),
                ('digest', models.CharField(max_length=64)),
                ('claim', models.JSONField()),
                ('received_at', models.DateTimeField()),
                ('connection', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='callbacks', to='console.connection')),
                ('proposal', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='callbacks', to='console.proposal')),
            ],
            options={
                'indexes': [models.Index(fields=['received_at'], name='callback_age')],
                'constraints': [models.UniqueConstraint(fields=('connection', 'message_id', 'digest'), name='callback_once')],
            },
        ),
        migrations.CreateModel(
            name='Hearing',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('happened', models.BooleanField()),
                ('result', models.CharField(choices=[('taken', 'Taken as a claim; the read-back decides'), ('on_word', 'Taken at its word: nothing else can be asked'), ('repeated', 'Said before'), ('contradicts', 'The opposite of what is known'), ('untimely', 'Nothing was sent that it could be about')], max_length=12)),
                ('at', models.DateTimeField()),
                ('attempt', models.ForeignKey(null=True, on_delete=django.db.models.deletion.PROTECT, related_name='hearings', to='console.attempt')),
                ('callback', models.OneToOneField(on_delete=django.db.models.deletion.PROTECT, related_name='hearing', to='console.callback')),
                ('proposal', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='hearings', to='console.proposal')),
            ],
        ),
        *(
            migrations.RunSQL(
                f"CREATE TRIGGER {table}_append_only BEFORE UPDATE OR DELETE ON {table} "
                "FOR EACH ROW EXECUTE FUNCTION console_append_only();",
                migrations.RunSQL.noop,
            )
            for table in APPEND_ONLY
        ),
    ]
