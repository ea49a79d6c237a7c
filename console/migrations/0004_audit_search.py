"""Indexes for the auditor's search: by kind of actor, by actor, by words."""

import django.contrib.postgres.indexes
import django.contrib.postgres.search
from django.db import migrations, models


class Migration(migrations.Migration):
    """Indexes only."""

    dependencies = [
        ('console', '0003_call_windows'),
    ]

    operations = [
        migrations.RemoveIndex(
            model_name='auditentry',
            name='audit_actor',
        ),
        migrations.AddIndex(
            model_name='auditentry',
            index=models.Index(fields=['actor_kind', '-id'], name='audit_kind'),
        ),
        migrations.AddIndex(
            model_name='auditentry',
            index=models.Index(fields=['actor_id', '-id'], name='audit_actor'),
        ),
        migrations.AddIndex(
            model_name='auditentry',
            index=django.contrib.postgres.indexes.GinIndex(django.contrib.postgres.search.SearchVector('words', config='simple'), name='audit_words'),
        ),
    ]
