"""How far what comes in has moved, by grant and value."""

import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    """One derived table."""

    dependencies = [("console", "0020_traces")]

    operations = [
        migrations.CreateModel(
            name="InputDrift",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("label", models.CharField(max_length=150)),
                ("index", models.FloatField()),
                ("reference", models.PositiveIntegerField()),
                ("recent", models.PositiveIntegerField()),
                ("at", models.DateTimeField()),
                (
                    "grant",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="input_drift",
                        to="console.grant",
                    ),
                ),
            ],
            options={
                "constraints": [
                    models.UniqueConstraint(fields=("grant", "label"), name="input_drift_once"),
                ],
            },
        ),
    ]
