"""Double-checks of labels: samples of suites, and what a second person said."""

import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models


# Frozen here: the tables of this migration that refuse update and delete.
APPEND_ONLY = ("console_labelsample", "console_labelcheck")


class Migration(migrations.Migration):
    """Two append-only tables."""

    dependencies = [
        ('console', '0018_answers'),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name='LabelSample',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('seed', models.CharField(max_length=32)),
                ('items', models.JSONField()),
                ('at', models.DateTimeField()),
                ('by', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL)),
                ('suite', models.OneToOneField(on_delete=django.db.models.deletion.PROTECT, related_name='label_sample', to='console.evalsuite')),
            ],
        ),
        migrations.CreateModel(
            name='LabelCheck',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('kept', models.BooleanField()),
                ('judged', models.CharField(choices=[('yes', 'Acceptable'), ('no', 'Not acceptable'), ('unsure', 'Cannot tell')], max_length=6)),
                ('words', models.CharField(blank=True, max_length=500)),
                ('at', models.DateTimeField()),
                ('by', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL)),
                ('case', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='label_checks', to='console.evalcase')),
                ('sample', models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name='checks', to='console.labelsample')),
            ],
            options={
                'constraints': [models.UniqueConstraint(fields=('sample', 'case'), name='label_judged_once')],
            },
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
