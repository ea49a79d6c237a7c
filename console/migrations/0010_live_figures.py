"""What people made of proposals, counted as it happens, and the chart that watches a grant."""

import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    """Two tables. Both are derived from decisions and may be counted anew."""

    dependencies = [
        ('console', '0009_callbacks'),
    ]

    operations = [
        migrations.CreateModel(
            name='OverrideChart',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('level', models.FloatField(default=0.0)),
                ('seen', models.BigIntegerField(default=0)),
                ('decision', models.BigIntegerField(default=0)),
                ('decided', models.PositiveIntegerField(default=0)),
                ('overridden', models.PositiveIntegerField(default=0)),
                ('since', models.DateTimeField()),
                ('alarmed_at', models.DateTimeField(blank=True, null=True)),
                ('grant', models.OneToOneField(on_delete=django.db.models.deletion.CASCADE, related_name='chart', to='console.grant')),
            ],
        ),
        migrations.CreateModel(
            name='Decided',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('overridden', models.BooleanField()),
                ('at', models.DateTimeField()),
                ('grant', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='decided', to='console.grant')),
                ('proposal', models.OneToOneField(on_delete=django.db.models.deletion.CASCADE, related_name='decided', to='console.proposal')),
            ],
            options={
                'indexes': [models.Index(fields=['grant', 'id'], name='decided_of_grant')],
            },
        ),
    ]
