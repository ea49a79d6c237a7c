"""What a proposal rests on is read again at every look; what a second source said stays with a reading."""

from django.db import migrations, models


class Migration(migrations.Migration):
    """Two columns."""

    dependencies = [("console", "0007_samples")]

    operations = [
        migrations.AddField("assessment", "rests", models.JSONField(default=list)),
        migrations.AddField("reading", "cross_check", models.JSONField(null=True)),
    ]
