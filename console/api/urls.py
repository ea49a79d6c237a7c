"""The addresses of the agents' door, under `/api/v1/`. What is nobody's answers with a problem too."""

from django.urls import path, re_path
from drf_spectacular.utils import extend_schema

from console.api import answers, handbook, runs, views
from console.api.describe import schema
from console.api.door import open_door
from console.api.problems import not_found

app_name = "api"

nobodys = extend_schema(exclude=True)(open_door("GET", "POST", "PUT", "PATCH", "DELETE")(not_found))

urlpatterns = [
    path("", handbook.page, name="handbook"),
    path("schema", schema, name="schema"),
    path("problems/<str:code>", views.problem_type, name="problem"),
    path("capabilities", views.list_capabilities, name="capabilities"),
    path("tools", views.list_tools, name="tools"),
    path("reads/<str:tool>", views.read_tool, name="read"),
    path("proposals", views.list_or_submit, name="proposals"),
    path("proposals/validate", views.judge, name="validate"),
    path("proposals/<str:ref>", views.show, name="proposal"),
    path("proposals/<str:ref>/withdraw", views.withdraw, name="withdraw"),
    path("proposals/<str:ref>/revisions", views.revise, name="revisions"),
    path("answers", answers.post, name="answers"),
    path("runs", runs.open_run, name="runs"),
    path("runs/<str:ref>", runs.show, name="run"),
    path("runs/<str:ref>/case", runs.case, name="run-case"),
    path("runs/<str:ref>/nothing", runs.nothing, name="run-nothing"),
    path("runs/<str:ref>/answer", runs.answer, name="run-answer"),
    path("runs/<str:ref>/finish", runs.finish, name="run-finish"),
    re_path(r"^.*$", nobodys, name="nobodys"),
]
