"""Live answers of agents, what they rest on, and people's marks; cases made of answers."""

import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models


# Frozen here: the tables of this migration that refuse update and delete.
APPEND_ONLY = ("console_liveanswer", "console_answercited", "console_answermark")


class Migration(migrations.Migration):
    """Three append-only tables, and a case may be of an answer in place of a proposal."""

    dependencies = [
        ('console', '0017_sampling'),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.AlterField(
            model_name='acceptedcase',
            name='proposal',
            field=models.OneToOneField(null=True, on_delete=django.db.models.deletion.PROTECT, related_name='accepted_case', to='console.proposal'),
        ),
        migrations.CreateModel(
            name='LiveAnswer',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('ref', models.CharField(max_length=20, unique=True)),
                ('key_id', models.CharField(max_length=16)),
                ('tool', models.CharField(max_length=64)),
                ('tool_version', models.PositiveIntegerField()),
                ('question', models.CharField(max_length=500)),
                ('given', models.JSONField()),
                ('rationale', models.TextField(blank=True)),
                ('key', models.CharField(max_length=128)),
                ('fingerprint', models.CharField(max_length=64)),
                ('at', models.DateTimeField()),
                ('agent_version', models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name='answers', to='console.agentversion')),
            ],
        ),
        migrations.CreateModel(
            name='AnswerMark',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('mark', models.CharField(choices=[('right', 'Right'), ('wrong', 'Wrong'), ('unsure', 'Cannot tell')], max_length=6)),
                ('mistake', models.CharField(blank=True, choices=[('misread', 'It says something else than the reading'), ('left_out', 'It leaves out what the reading has'), ('invented', 'It says what no reading has'), ('other_question', 'It answers another question'), ('not_so', 'The reading itself is not how things are'), ('other', 'Something else')], max_length=16)),
                ('words', models.CharField(blank=True, max_length=500)),
                ('at', models.DateTimeField()),
                ('by', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL)),
                ('answer', models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name='marks', to='console.liveanswer')),
            ],
        ),
        migrations.CreateModel(
            name='AnswerCited',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('reading', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to='console.reading')),
                ('answer', models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name='cited', to='console.liveanswer')),
            ],
        ),
        migrations.AddField(
            model_name='acceptedcase',
            name='answer',
            field=models.OneToOneField(null=True, on_delete=django.db.models.deletion.PROTECT, related_name='accepted_case', to='console.liveanswer'),
        ),
        migrations.AddConstraint(
            model_name='acceptedcase',
            constraint=models.CheckConstraint(condition=models.Q(models.Q(('answer__isnull', False), ('proposal__isnull', True)), models.Q(('answer__isnull', True), ('proposal__isnull', False)), _connector='OR'), name='case_of_one_thing'),
        ),
        migrations.AddIndex(
            model_name='liveanswer',
            index=models.Index(fields=['agent_version', '-id'], name='answers_of_version'),
        ),
        migrations.AddConstraint(
            model_name='liveanswer',
            constraint=models.UniqueConstraint(fields=('agent_version', 'key'), name='version_answer_key_once'),
        ),
        migrations.AddIndex(
            model_name='answermark',
            index=models.Index(fields=['answer', 'by', '-id'], name='marks_of_answer'),
        ),
        migrations.AddConstraint(
            model_name='answermark',
            constraint=models.CheckConstraint(condition=models.Q(models.Q(('mark', 'wrong'), ('words__gt', ''), models.Q(('mistake', ''), _negated=True)), models.Q(models.Q(('mark', 'wrong'), _negated=True), ('mistake', '')), _connector='OR'), name='wrong_says_what'),
        ),
        migrations.AddConstraint(
            model_name='answercited',
            constraint=models.UniqueConstraint(fields=('answer', 'reading'), name='answer_cites_once'),
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

