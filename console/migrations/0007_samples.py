"""What listeners hear: the last value of every point, life per connection; and the machine's times in readings."""

import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    """Two tables that hold no evidence, three columns of readings."""

    dependencies = [
        ('console', '0006_people_and_logs'),
    ]

    operations = [
        migrations.AddField(
            model_name='reading',
            name='remark',
            field=models.CharField(blank=True, max_length=300),
        ),
        migrations.AddField(
            model_name='reading',
            name='server_time',
            field=models.DateTimeField(null=True),
        ),
        migrations.AddField(
            model_name='reading',
            name='source_time',
            field=models.DateTimeField(null=True),
        ),
        migrations.CreateModel(
            name='Listening',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('alive_at', models.DateTimeField(null=True)),
                ('lost_at', models.DateTimeField(null=True)),
                ('lost_why', models.CharField(blank=True, max_length=300)),
                ('refused', models.PositiveIntegerField(default=0)),
                ('refused_at', models.DateTimeField(null=True)),
                ('refused_why', models.CharField(blank=True, max_length=300)),
                ('connection', models.OneToOneField(on_delete=django.db.models.deletion.CASCADE, related_name='listening', to='console.connection')),
            ],
        ),
        migrations.CreateModel(
            name='Sample',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('tool', models.CharField(max_length=64)),
                ('key', models.CharField(max_length=400)),
                ('value', models.JSONField(null=True)),
                ('quality', models.CharField(max_length=10)),
                ('remark', models.CharField(blank=True, max_length=300)),
                ('source_time', models.DateTimeField(null=True)),
                ('server_time', models.DateTimeField(null=True)),
                ('received_at', models.DateTimeField()),
                ('lasting', models.BooleanField()),
                ('mark', models.CharField(blank=True, max_length=200)),
                ('connection', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='samples', to='console.connection')),
            ],
            options={
                'constraints': [models.UniqueConstraint(fields=('connection', 'tool', 'key'), name='sample_once')],
            },
        ),
    ]
