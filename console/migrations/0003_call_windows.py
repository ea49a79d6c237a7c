"""The counters of limits per minute: a table whose loss costs nothing, so it is not written to the log."""

from django.db import migrations, models


class Migration(migrations.Migration):
    """One unlogged table."""

    dependencies = [("console", "0002_guards")]

    operations = [
        migrations.CreateModel(
            name="CallWindow",
            fields=[
                ("name", models.CharField(max_length=80, primary_key=True, serialize=False)),
                ("since", models.DateTimeField()),
                ("calls", models.PositiveIntegerField()),
            ],
        ),
        migrations.RunSQL("ALTER TABLE console_callwindow SET UNLOGGED", migrations.RunSQL.noop),
    ]
