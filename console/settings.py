"""All settings, in one file, long for that reason. What a deployment may say, it says in the environment.

COUNTERSIGN_MODE is `production` unless said otherwise; `manage.py demo` and the tests say `demo` and `test`.
Production refuses to start on anything that is only fit for a demo, naming the setting and what is right.
Every secret NAME may be given as NAME_FILE, a path to a file that holds it.

DATABASE_URL        the application's role: reads and writes rows, owns nothing (alias "default")
DATABASE_OWNER_URL  the role that owns the tables and migrates (alias "owner"); servers omit it
REDIS_URL           the bell (Celery's broker)
SECRET_KEY          at least 50 characters
ALLOWED_HOSTS       host names, comma separated
CONNECTIONS         JSON: name -> {adapter, system, isa95_level, options, reader, writers, verified_by};
                    a reader or writer is {login, secret}, and secret a NAME for environment.secret()
                    cross_checks holds a read tool's answer to a second connection: tool -> {with, tolerance}
AUDIT_SIGNING_KEY   signs the checkpoints of the audit log: 32 bytes in base64 (openssl rand -base64 32)
AUDIT_ORIGIN        the log's name in checkpoints and receipts, such as console.example.com/audit
AUDIT_VERIFIER_KEYS public keys that signed earlier checkpoints (name+id+base64), comma separated
SAMPLED_APPROVAL    whether a rule that two people countersigned may pass proposals to the sandbox; never in production
GATES_REQUIRED      whether a version needs evidence from an eval run before it may write: yes in production, no else
NOTICE_URLS         names of secrets, comma separated; each holds one address for notices of incidents (apprise)
CONSOLE_URL         where people open this console, such as https://console.example.com, for links in notices
METRICS_TOKEN       who sends it as a bearer token may read /metrics from elsewhere than this machine
OTEL_*              where traces go: see console/tracing.py
"""

from typing import Any

from django.core.exceptions import ImproperlyConfigured

from console import environment, tracing

BASE_DIR = environment.ROOT
VAR = environment.VAR

# Mode

MODE = environment.text("COUNTERSIGN_MODE", "production")
if MODE not in {"production", "demo", "test"}:
    raise ImproperlyConfigured(f"COUNTERSIGN_MODE is {MODE!r}; it is production, demo or test.")
PRODUCTION = MODE == "production"

DEBUG = environment.flag("DEBUG")
DEMO_SECRET_KEY = "only-for-tests-and-demos-" + "x" * 32
SECRET_KEY = environment.text("SECRET_KEY", "" if PRODUCTION else DEMO_SECRET_KEY)
SECRET_KEY_FALLBACKS = environment.words("SECRET_KEY_FALLBACKS")
_own_hosts = "localhost,127.0.0.1,[::1],testserver"
ALLOWED_HOSTS = environment.words("ALLOWED_HOSTS", "" if PRODUCTION else _own_hosts)
CSRF_TRUSTED_ORIGINS = environment.words("CSRF_TRUSTED_ORIGINS")

# Systems. They name the secrets that hold their credentials, never the credentials.

CONNECTIONS: dict[str, dict[str, Any]] = environment.mapping("CONNECTIONS")
TRANSACTION_TYPE_PACKAGES = environment.words("TRANSACTION_TYPE_PACKAGES")
READ_TOOL_PACKAGES = environment.words("READ_TOOL_PACKAGES")

# Trust

SAMPLED_APPROVAL = environment.flag("SAMPLED_APPROVAL")
GATES_REQUIRED = environment.flag("GATES_REQUIRED", default=PRODUCTION)

# Audit

AUDIT_ORIGIN = environment.text("AUDIT_ORIGIN", "countersign")
if not AUDIT_ORIGIN or set(AUDIT_ORIGIN) & set(" +\t\n"):
    raise ImproperlyConfigured(f"AUDIT_ORIGIN is {AUDIT_ORIGIN!r}; it is a name without spaces and '+'.")
AUDIT_VERIFIER_KEYS = environment.words("AUDIT_VERIFIER_KEYS")

# Notices of incidents. The addresses are secrets; these are their names.

NOTICE_URLS = environment.names("NOTICE_URLS")
CONSOLE_URL = environment.text("CONSOLE_URL")
if CONSOLE_URL and not CONSOLE_URL.startswith(("https://", "http://")):
    raise ImproperlyConfigured("CONSOLE_URL is where people open this console: it begins with https://")

# Databases

_app_url = environment.text("DATABASE_URL")
_owner_url = environment.text("DATABASE_OWNER_URL")
# The tests drop their databases, which a pool would keep in use.
_pool_size = 0 if MODE == "test" else environment.number("DATABASE_POOL_SIZE", 8)
# ATOMIC_REQUESTS stays off: verbs open their own transactions, and one around a system call would be a fault.
DATABASES: dict[str, dict[str, Any]] = {
    "default": environment.database(_app_url, pool_size=_pool_size),
    "owner": environment.database(_owner_url),
}
# Test databases are made and migrated by the owner; the code under test runs as the application's role.
DATABASES["default"]["TEST"] = {"MIRROR": "owner"}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

# Shared by all processes and alive without the broker: sign-in limits must not vanish with a cache server.
CACHES = {
    "default": {
        "BACKEND": "django.core.cache.backends.db.DatabaseCache",
        "LOCATION": "console_cache",
        "OPTIONS": {"MAX_ENTRIES": 20_000},
    },
    "local": {
        "BACKEND": "django.core.cache.backends.locmem.LocMemCache",
        "LOCATION": "local",
        "OPTIONS": {"MAX_ENTRIES": 20_000},
    },
}
if not _app_url:
    CACHES["default"] = CACHES["local"]

# Application

ROOT_URLCONF = "console.urls"
WSGI_APPLICATION = "console.wsgi.application"
ASGI_APPLICATION = "console.asgi.application"

INSTALLED_APPS = [
    "console",  # first: its migrate, flush and templates come before the libraries'
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.postgres",
    "django.contrib.staticfiles",
    "django.contrib.humanize",
    "django_htmx",
    "lucide",
    "allauth",
    "allauth.account",
    "allauth.mfa",
    "rest_framework",
    "drf_spectacular",
    "csp",
]

MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "console.tracing.Requests",
    "csp.middleware.CSPMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "console.accounts.SessionLimits",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "allauth.account.middleware.AccountMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
]

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "console.web.context.page",
            ],
        },
    },
]

LANGUAGE_CODE = "en-gb"
TIME_ZONE = "UTC"
USE_TZ = True
USE_I18N = True

STATIC_URL = "/static/"
# Production runs collectstatic; a demo and the tests serve the files where they lie.
STATIC_ROOT = VAR / "static" if PRODUCTION else None
STATICFILES_DIRS = [BASE_DIR / "static"] if (BASE_DIR / "static").is_dir() else []
WHITENOISE_USE_FINDERS = not PRODUCTION
WHITENOISE_AUTOREFRESH = DEBUG
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {
        "BACKEND": "whitenoise.storage.CompressedManifestStaticFilesStorage"
        if PRODUCTION
        else "django.contrib.staticfiles.storage.StaticFilesStorage",
    },
}

# Event streams hold a thread each; tests turn them off and pages fall back to polling.
LIVE_STREAMS = environment.flag("LIVE_STREAMS", default=True)

# People

AUTHENTICATION_BACKENDS = ["allauth.account.auth_backends.AuthenticationBackend"]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {
        "NAME": "django.contrib.auth.password_validation.MinimumLengthValidator",
        "OPTIONS": {"min_length": 12},
    },
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
]
if MODE == "test":
    PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]

LOGIN_URL = "account_login"
LOGIN_REDIRECT_URL = "/"
ACCOUNT_ADAPTER = "console.web.sign_in.AuditedSignIn"
ACCOUNT_LOGIN_METHODS = {"username"}
ACCOUNT_SIGNUP_FIELDS = ["username*", "password1*", "password2*"]
ACCOUNT_EMAIL_VERIFICATION = "none"
ACCOUNT_PREVENT_ENUMERATION = "strict"
ACCOUNT_SESSION_REMEMBER = True  # the session's own limits decide, not the browser window
ACCOUNT_LOGOUT_ON_PASSWORD_CHANGE = True
# allauth's own limits hold elsewhere (30 sign-ins a minute and address; 10 failures a minute and address,
# 5 in 5 minutes and name); a test run signs in more often than that.
ACCOUNT_RATE_LIMITS = {"login": "1000/m/ip"} if MODE == "test" else {}
ALLAUTH_TRUSTED_PROXY_COUNT = environment.number("TRUSTED_PROXY_COUNT", 0)
MFA_SUPPORTED_TYPES = ["totp", "webauthn", "recovery_codes"]
MFA_PASSKEY_LOGIN_ENABLED = True
MFA_WEBAUTHN_ALLOW_INSECURE_ORIGIN = not PRODUCTION
MFA_TOTP_ISSUER = "Countersign"

SESSION_IDLE_SECONDS = environment.number("SESSION_IDLE_SECONDS", 30 * 60)
SESSION_ABSOLUTE_SECONDS = environment.number("SESSION_ABSOLUTE_SECONDS", 12 * 60 * 60)
SESSION_TOUCH_SECONDS = 60
SESSION_COOKIE_AGE = SESSION_ABSOLUTE_SECONDS
SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = "Lax"
SESSION_COOKIE_SECURE = PRODUCTION
SESSION_COOKIE_NAME = "__Host-session" if PRODUCTION else "countersign_session"
CSRF_COOKIE_HTTPONLY = True
CSRF_COOKIE_SAMESITE = "Lax"
CSRF_COOKIE_SECURE = PRODUCTION
CSRF_COOKIE_NAME = "__Host-csrf" if PRODUCTION else "countersign_csrf"

# What a browser may do

SECURE_CONTENT_TYPE_NOSNIFF = True
SECURE_REFERRER_POLICY = "same-origin"
SECURE_CROSS_ORIGIN_OPENER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"
SECURE_SSL_REDIRECT = PRODUCTION and environment.flag("SECURE_SSL_REDIRECT", default=True)
SECURE_HSTS_SECONDS = environment.number("SECURE_HSTS_SECONDS", 31_536_000) if PRODUCTION else 0
SECURE_REDIRECT_EXEMPT = [r"^(live|ready|metrics)$"]  # asked from inside, without TLS
if environment.flag("BEHIND_TLS_PROXY"):
    SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": ["'self'"],
        "script-src": ["'self'"],
        "style-src": ["'self'"],
        "img-src": ["'self'", "data:"],
        "object-src": ["'none'"],
        "base-uri": ["'none'"],
        "frame-ancestors": ["'none'"],
        "form-action": ["'self'"],
    },
}
DATA_UPLOAD_MAX_MEMORY_SIZE = 1_048_576
DATA_UPLOAD_MAX_NUMBER_FIELDS = 1_000

# Agents' door

REST_FRAMEWORK: dict[str, Any] = {
    # Fail closed: a view that does not say who may call it can be called by nobody.
    "DEFAULT_AUTHENTICATION_CLASSES": [],
    "DEFAULT_PERMISSION_CLASSES": ["rest_framework.permissions.IsAdminUser"],
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_PARSER_CLASSES": ["rest_framework.parsers.JSONParser"],
    "DEFAULT_SCHEMA_CLASS": "drf_spectacular.openapi.AutoSchema",
    "UNAUTHENTICATED_USER": "django.contrib.auth.models.AnonymousUser",
    "EXCEPTION_HANDLER": "console.api.problems.answer",
    "URL_FORMAT_OVERRIDE": None,  # ?format= belongs to `tools`
}
SPECTACULAR_SETTINGS = {
    "TITLE": "Countersign",
    "DESCRIPTION": "The agents' door: read through it, propose through it, follow what became of it.",
    "VERSION": "1",
    "OAS_VERSION": "3.1.0",
    "SCHEMA_PATH_PREFIX": "/api/v[0-9]+",
    "POSTPROCESSING_HOOKS": [],  # the models of console.api.envelope name their parts themselves
}

# The corridor's patience, in seconds of the database's clock. Tests shorten it.

LEASE_SECONDS = environment.number("LEASE_SECONDS", 90)  # longer than any adapter takes for one step
BELL_SECONDS = environment.number("BELL_SECONDS", 15)  # a bell unheard for so long is rung again
AGAIN_SECONDS = environment.number("AGAIN_SECONDS", 20)  # a system is away, or something is held
UNKNOWN_AFTER_SECONDS = environment.number("UNKNOWN_AFTER_SECONDS", 120)  # then a lost answer is a person's
SHADOW_WINDOW_SECONDS = environment.number(
    "SHADOW_WINDOW_SECONDS", 3 * 86400
)  # what people do within it counts
SHADOW_LOOK_SECONDS = environment.number(
    "SHADOW_LOOK_SECONDS", 6 * 3600
)  # until then it is looked at so often
# A process that hangs in a transaction gives up its locks after the time of a lease.
# A note must survive a crash before a byte leaves, whatever the server's default is; tests have theirs for speed.
if _app_url:
    DATABASES["default"]["OPTIONS"].setdefault(
        "options",
        f"-c idle_in_transaction_session_timeout={LEASE_SECONDS}s"
        + ("" if MODE == "test" else " -c synchronous_commit=on"),
    )

# Workers

REDIS_URL = environment.text("REDIS_URL")
# Without one, commands that ring no bell still work; ringing fails with this name in the error.
CELERY_BROKER_URL = REDIS_URL or "redis://redis-url-is-not-set.invalid:6379/0"
CELERY_RESULT_BACKEND = None  # what became of a task is in PostgreSQL
CELERY_TASK_IGNORE_RESULT = True
CELERY_TASK_DEFAULT_QUEUE = "countersign"
CELERY_ACCEPT_CONTENT = ["json"]
CELERY_TASK_SERIALIZER = "json"
CELERY_RESULT_SERIALIZER = "json"
CELERY_EVENT_SERIALIZER = "json"
# Threads: every system call has its own timeout, a warm stop takes a second, connections are pooled.
CELERY_WORKER_POOL = "threads"
CELERY_WORKER_CONCURRENCY = environment.number("WORKER_THREADS", 4)
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
CELERY_WORKER_HIJACK_ROOT_LOGGER = False
CELERY_TASK_ACKS_LATE = True
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_BROKER_CONNECTION_TIMEOUT = 2
# A request never waits for the bell: it is rung once, and the sweep rings again.
CELERY_TASK_PUBLISH_RETRY_POLICY = {
    "max_retries": 1,
    "interval_start": 0,
    "interval_step": 0.1,
    "interval_max": 0.1,
}
CELERY_BROKER_TRANSPORT_OPTIONS = {
    # What a worker has taken is not written down in the broker as well: a bell that dies with its worker is rung
    # again by the sweep long before the broker would. A worker that is asked to stop gives back what it took.
    "ack_emulation": False,
    "socket_connect_timeout": 2,
    "socket_keepalive": True,
    "health_check_interval": 25,
}
CELERY_TIMEZONE = "UTC"
CELERY_BEAT_SCHEDULE_FILENAME = str(VAR / "celerybeat-schedule")
# A bell that nobody heard in time is thrown away: the next one says the same.
CELERY_BEAT_SCHEDULE: dict[str, dict[str, Any]] = {
    "sweep": {"task": "console.tasks.sweep", "schedule": 5.0, "options": {"expires": 5}},
    "tell": {"task": "console.tasks.tell", "schedule": 15.0, "options": {"expires": 15}},
    "burn": {"task": "console.tasks.burn", "schedule": 3.0, "options": {"expires": 3}},
    "burn_all": {
        "task": "console.tasks.burn",
        "schedule": 60.0,
        "kwargs": {"newest_only": False},
        "options": {"expires": 60},
    },
    "compare_inputs": {
        "task": "console.tasks.compare_inputs",
        "schedule": 900.0,
        "options": {"expires": 900},
    },
    "sequence": {"task": "console.tasks.sequence", "schedule": 5.0, "options": {"expires": 5}},
    "probe_accounts": {
        "task": "console.tasks.probe_accounts",
        "schedule": 3600.0,
        "options": {"expires": 3600},
    },
    "ping": {"task": "console.tasks.ping", "schedule": 60.0, "options": {"expires": 60}},
    "seed": {"task": "console.tasks.seed", "schedule": 20.0, "options": {"expires": 20}},
    "reconcile": {"task": "console.tasks.reconcile", "schedule": 120.0, "options": {"expires": 120}},
}

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"line": {"format": "%(asctime)s %(levelname)s %(name)s %(message)s"}},
    "handlers": {"console": {"class": "logging.StreamHandler", "formatter": "line"}},
    "root": {"handlers": ["console"], "level": environment.text("LOG_LEVEL", "INFO")},
    # Their INFO lines repeat URLs and task arguments; a session that OPC UA's library loses is told by its adapter.
    "loggers": {
        "httpx": {"level": "WARNING"},
        "httpcore": {"level": "WARNING"},
        "asyncua": {"level": "CRITICAL"},
        # It says whole addresses, which are secrets; `notices` says what went wrong in its own words.
        "apprise": {"level": "CRITICAL", "propagate": False},
        "urllib3": {"level": "ERROR"},
        # Its warnings tell of every try; its errors, of every batch of traces that was given up.
        "opentelemetry.exporter": {"level": "ERROR"},
        # Two lines for every bell, of which PostgreSQL has the whole story.
        "celery.worker.strategy": {"level": "WARNING"},
        "celery.app.trace": {"level": "WARNING"},
    },
}


SECRET_KEY_LENGTH = 50


def _refuse_unfit_for_production() -> None:
    faults = []
    if len(SECRET_KEY) < SECRET_KEY_LENGTH or SECRET_KEY == DEMO_SECRET_KEY or SECRET_KEY.startswith("demo-"):
        faults.append("SECRET_KEY is missing, shorter than 50 characters or a demo's: give it a random one")
    if DEBUG:
        faults.append("DEBUG is on: leave it out")
    if not ALLOWED_HOSTS or "*" in ALLOWED_HOSTS:
        faults.append("ALLOWED_HOSTS is empty or '*': name the hosts people use")
    if SAMPLED_APPROVAL:
        faults.append("SAMPLED_APPROVAL is on: leave it out, every proposal is decided by people here")
    roles = [DATABASES[alias].get("USER") for alias in ("default", "owner")]
    if _app_url and _owner_url and roles[0] == roles[1]:
        faults.append(
            f"DATABASE_URL and DATABASE_OWNER_URL are one role ({roles[0] or 'unnamed'}): the application "
            "must own no table; give it a role of its own"
        )
    if not environment.text("AUDIT_SIGNING_KEY"):
        faults.append("AUDIT_SIGNING_KEY is missing: make one with `openssl rand -base64 32` and keep a copy")
    faults += [
        f"CONNECTIONS[{name!r}] uses the sandbox adapter: name the adapter of a real system"
        for name, connection in CONNECTIONS.items()
        if str(connection.get("adapter", "")).startswith("integrations.sandbox")
    ]
    if faults:
        raise ImproperlyConfigured("Not fit for production. " + "; ".join(faults) + ".")


if PRODUCTION:
    _refuse_unfit_for_production()
tracing.check()
