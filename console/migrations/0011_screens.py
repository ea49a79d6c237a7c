"""What robots saw at screens, and the screens that people certified."""

import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models

# Frozen here: the tables of this migration that refuse update and delete.
APPEND_ONLY = ("console_exhibit", "console_certifiedscreen")


class Migration(migrations.Migration):
    """Two tables, and no picture above two megabytes."""

    dependencies = [
        ('console', '0010_live_figures'),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name='CertifiedScreen',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('transaction_type', models.CharField(max_length=64)),
                ('script', models.CharField(max_length=100)),
                ('fingerprint', models.CharField(max_length=64)),
                ('at', models.DateTimeField()),
                ('by', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL)),
                ('connection', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='certified_screens', to='console.connection')),
            ],
            options={
                'constraints': [models.UniqueConstraint(fields=('connection', 'transaction_type', 'script', 'fingerprint'), name='screen_certified_once')],
            },
        ),
        migrations.CreateModel(
            name='Exhibit',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('name', models.CharField(max_length=100)),
                ('media_type', models.CharField(max_length=40)),
                ('sha256', models.CharField(max_length=64)),
                ('content', models.BinaryField()),
                ('at', models.DateTimeField()),
                ('assessment', models.ForeignKey(null=True, on_delete=django.db.models.deletion.PROTECT, related_name='exhibits', to='console.assessment')),
                ('attempt', models.ForeignKey(null=True, on_delete=django.db.models.deletion.PROTECT, related_name='exhibits', to='console.attempt')),
                ('proposal', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='exhibits', to='console.proposal')),
            ],
            options={
                'indexes': [models.Index(fields=['proposal', 'id'], name='exhibits_in_order')],
            },
        ),
        migrations.RunSQL(
            "ALTER TABLE console_exhibit ADD CONSTRAINT exhibit_size CHECK (octet_length(content) <= 2097152)",
            "ALTER TABLE console_exhibit DROP CONSTRAINT exhibit_size",
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
