"""The trace in which a proposal was made stays with it: a bell carries nothing but an id."""

from django.db import migrations, models


class Migration(migrations.Migration):
    """One column."""

    dependencies = [("console", "0019_labels")]

    operations = [
        migrations.AddField(
            "proposal", "traceparent", models.CharField(blank=True, db_default="", default="", max_length=55)
        ),
    ]
