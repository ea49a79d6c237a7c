"""The newest snapshots that were taken for validations."""

import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    """One table, nothing in it is evidence: rows are replaced and cleared."""

    dependencies = [
        ('console', '0004_audit_search'),
    ]

    operations = [
        migrations.CreateModel(
            name='LatestSnapshot',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('transaction_type', models.CharField(max_length=64)),
                ('type_version', models.PositiveIntegerField()),
                ('about', models.CharField(max_length=128)),
                ('snapshot', models.JSONField(null=True)),
                ('refused', models.CharField(blank=True, max_length=500)),
                ('as_of', models.DateTimeField()),
                ('connection', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='latest', to='console.connection')),
            ],
            options={
                'indexes': [models.Index(fields=['as_of'], name='latest_age')],
                'constraints': [models.UniqueConstraint(fields=('connection', 'transaction_type', 'type_version', 'about'), name='latest_once')],
            },
        ),
    ]
