"""Evals: frozen cases, runs over them, and what the gate made of a run."""

import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models


# Frozen here: the tables of this migration that refuse update and delete.
APPEND_ONLY = (
    "console_evalsuite",
    "console_evalcase",
    "console_acceptedcase",
    "console_runreading",
    "console_runanswer",
    "console_gatedecision",
)


class Migration(migrations.Migration):
    """Eight tables, six of them append-only, and which version of a type the evidence of a grant is about."""

    dependencies = [
        ('console', '0014_shadow'),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.AddField(
            model_name='grant',
            name='evidence_version',
            field=models.PositiveIntegerField(blank=True, null=True),
        ),
        migrations.CreateModel(
            name='AcceptedCase',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('suite', models.SlugField(max_length=60)),
                ('body', models.JSONField()),
                ('at', models.DateTimeField()),
                ('by', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL)),
                ('proposal', models.OneToOneField(on_delete=django.db.models.deletion.PROTECT, related_name='accepted_case', to='console.proposal')),
            ],
        ),
        migrations.CreateModel(
            name='EvalSuite',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('name', models.SlugField(max_length=60)),
                ('number', models.PositiveIntegerField()),
                ('kind', models.CharField(max_length=4)),
                ('about', models.CharField(max_length=64)),
                ('type_version', models.PositiveIntegerField()),
                ('digest', models.CharField(max_length=64)),
                ('holdout', models.PositiveIntegerField()),
                ('public', models.PositiveIntegerField()),
                ('disputed', models.PositiveIntegerField()),
                ('source', models.CharField(blank=True, max_length=300)),
                ('made_at', models.DateTimeField()),
            ],
            options={
                'indexes': [models.Index(fields=['kind', 'about', '-id'], name='suites_about')],
                'constraints': [models.UniqueConstraint(fields=('name', 'number'), name='suite_version_once')],
            },
        ),
        migrations.CreateModel(
            name='EvalRun',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('ref', models.CharField(max_length=20, unique=True)),
                ('suite_digest', models.CharField(max_length=64)),
                ('kind', models.CharField(max_length=4)),
                ('about', models.CharField(max_length=64)),
                ('type_version', models.PositiveIntegerField()),
                ('practice', models.BooleanField()),
                ('gate_number', models.PositiveIntegerField()),
                ('bar', models.DecimalField(decimal_places=4, max_digits=5)),
                ('cases', models.PositiveIntegerField()),
                ('wrong', models.PositiveSmallIntegerField()),
                ('repeats', models.PositiveSmallIntegerField()),
                ('consistency', models.DecimalField(decimal_places=4, max_digits=5)),
                ('max_age_days', models.PositiveSmallIntegerField()),
                ('cost', models.FloatField()),
                ('left_before', models.FloatField()),
                ('power', models.JSONField()),
                ('drawn', models.JSONField()),
                ('known', models.PositiveIntegerField(default=0)),
                ('key_id', models.CharField(max_length=16, unique=True)),
                ('secret_hash', models.CharField(max_length=64)),
                ('started_at', models.DateTimeField()),
                ('ends_at', models.DateTimeField()),
                ('finished_at', models.DateTimeField(null=True)),
                ('result', models.JSONField(null=True)),
                ('version', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='runs', to='console.agentversion')),
                ('suite', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='runs', to='console.evalsuite')),
            ],
        ),
        migrations.CreateModel(
            name='EvalCase',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('name', models.CharField(max_length=120)),
                ('body', models.JSONField()),
                ('digest', models.CharField(max_length=64)),
                ('split', models.CharField(choices=[('public', 'Public'), ('holdout', 'Hold-out')], max_length=8)),
                ('confidence', models.CharField(choices=[('acted', 'People did so'), ('curated', 'Looked at by a curator'), ('disputed', 'Disputed')], max_length=8)),
                ('suite', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='cases', to='console.evalsuite')),
            ],
        ),
        migrations.CreateModel(
            name='Gate',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('kind', models.CharField(max_length=4)),
                ('about', models.CharField(max_length=64)),
                ('bar', models.DecimalField(decimal_places=4, max_digits=5)),
                ('wrong', models.PositiveSmallIntegerField()),
                ('cases', models.PositiveSmallIntegerField(default=0)),
                ('repeats', models.PositiveSmallIntegerField(default=1)),
                ('consistency', models.DecimalField(decimal_places=4, max_digits=5)),
                ('max_age_days', models.PositiveSmallIntegerField()),
                ('number', models.PositiveIntegerField(default=1)),
                ('changed_at', models.DateTimeField()),
                ('suite', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='gates', to='console.evalsuite')),
            ],
        ),
        migrations.CreateModel(
            name='GateDecision',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('kind', models.CharField(max_length=4)),
                ('about', models.CharField(max_length=64)),
                ('type_version', models.PositiveIntegerField()),
                ('suite_digest', models.CharField(max_length=64)),
                ('gate_number', models.PositiveIntegerField()),
                ('opened', models.BooleanField()),
                ('reasons', models.JSONField()),
                ('evidence', models.CharField(max_length=300)),
                ('right', models.PositiveIntegerField()),
                ('cases', models.PositiveIntegerField()),
                ('critical', models.PositiveIntegerField()),
                ('consistent', models.PositiveIntegerField()),
                ('cost', models.FloatField()),
                ('at', models.DateTimeField()),
                ('valid_until', models.DateTimeField()),
                ('run', models.OneToOneField(on_delete=django.db.models.deletion.PROTECT, related_name='decision', to='console.evalrun')),
                ('version', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='gate_decisions', to='console.agentversion')),
            ],
        ),
        migrations.CreateModel(
            name='RunAnswer',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('place', models.PositiveIntegerField()),
                ('key', models.CharField(max_length=128)),
                ('fingerprint', models.CharField(max_length=64)),
                ('given', models.JSONField(null=True)),
                ('rationale', models.TextField(blank=True)),
                ('cited', models.JSONField(default=list)),
                ('right', models.BooleanField()),
                ('critical', models.BooleanField()),
                ('differences', models.JSONField()),
                ('fields', models.PositiveIntegerField()),
                ('nearest', models.PositiveIntegerField()),
                ('at', models.DateTimeField()),
                ('case', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='answers', to='console.evalcase')),
                ('run', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='answers', to='console.evalrun')),
            ],
        ),
        migrations.CreateModel(
            name='RunReading',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('place', models.PositiveIntegerField()),
                ('ref', models.CharField(max_length=20, unique=True)),
                ('tool', models.CharField(max_length=64)),
                ('arguments', models.JSONField()),
                ('frozen', models.PositiveIntegerField(null=True)),
                ('at', models.DateTimeField()),
                ('run', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='readings', to='console.evalrun')),
            ],
        ),
        migrations.AddIndex(
            model_name='evalrun',
            index=models.Index(fields=['kind', 'about', '-id'], name='runs_about'),
        ),
        migrations.AddConstraint(
            model_name='evalcase',
            constraint=models.UniqueConstraint(fields=('suite', 'name'), name='case_once_in_suite'),
        ),
        migrations.AddConstraint(
            model_name='gate',
            constraint=models.UniqueConstraint(fields=('kind', 'about'), name='gate_once'),
        ),
        migrations.AddIndex(
            model_name='gatedecision',
            index=models.Index(fields=['version', 'kind', 'about', '-id'], name='decisions_of_gate'),
        ),
        migrations.AddIndex(
            model_name='runanswer',
            index=models.Index(fields=['case', 'run'], name='answers_of_case'),
        ),
        migrations.AddConstraint(
            model_name='runanswer',
            constraint=models.UniqueConstraint(fields=('run', 'place'), name='one_answer_per_sitting'),
        ),
        migrations.AddConstraint(
            model_name='runanswer',
            constraint=models.UniqueConstraint(fields=('run', 'key'), name='run_key_once'),
        ),
        migrations.AddIndex(
            model_name='runreading',
            index=models.Index(fields=['run', 'place'], name='readings_of_sitting'),
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
