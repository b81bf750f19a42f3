"""Errors of the API as the real one words them: a Status object with a code and a reason."""

REASON_CODES = {
    "BadRequest": 400, "Unauthorized": 401, "Forbidden": 403, "NotFound": 404,
    "MethodNotAllowed": 405, "NotAcceptable": 406, "AlreadyExists": 409,
    "Conflict": 409, "Expired": 410, "RequestEntityTooLarge": 413,
    "UnsupportedMediaType": 415, "Invalid": 422, "TooManyRequests": 429,
    "InternalError": 500, "ServerTimeout": 500, "ServiceUnavailable": 503,
    "Timeout": 504,
}


class ApiError(Exception):
    """An answer that is a Status. `reason` may be empty, as etcd's errors have none."""

    def __init__(self, code, reason, message, details=None, headers=None):
        super().__init__(message)
        self.code = code
        self.reason = reason
        self.message = message
        self.details = details
        self.headers = headers or {}

    def status(self):
        body = {
            "kind": "Status", "apiVersion": "v1", "metadata": {},
            "status": "Failure", "message": self.message,
        }
        if self.reason:
            body["reason"] = self.reason
        if self.details:
            body["details"] = self.details
        body["code"] = self.code
        return body


class BareAnswer(Exception):
    """An answer without a Status body, as a failed websocket handshake gives."""

    def __init__(self, code, text=None, headers=None, content_type="text/plain"):
        super().__init__(text or str(code))
        self.code = code
        self.text = text
        self.headers = headers or {}
        self.content_type = content_type


def bad_request(message):
    return ApiError(400, "BadRequest", message)


def unauthorized():
    return ApiError(401, "Unauthorized", "Unauthorized")


def not_found(plural, name, group=""):
    details = {"name": name, "kind": plural}
    if group:
        details["group"] = group
    where = f"{plural}.{group}" if group else plural
    return ApiError(404, "NotFound", f'{where} "{name}" not found', details)


def already_exists(plural, name, group=""):
    where = f"{plural}.{group}" if group else plural
    return ApiError(409, "AlreadyExists", f'{where} "{name}" already exists',
                    {"name": name, "kind": plural})


def conflict(plural, name, why, group=""):
    where = f"{plural}.{group}" if group else plural
    return ApiError(
        409, "Conflict",
        f'Operation cannot be fulfilled on {where} "{name}": {why}',
        {"name": name, "kind": plural},
    )


def stale(plural, name, group=""):
    return conflict(
        plural, name,
        "the object has been modified; please apply your changes to the latest "
        "version and try again", group)


def forbidden(plural, name, why, group=""):
    where = f"{plural}.{group}" if group else plural
    named = f'{where} "{name}"' if name else where
    details = {"kind": plural}
    if name:
        details["name"] = name
    return ApiError(403, "Forbidden", f"{named} is forbidden: {why}", details)


def expired(message="The resourceVersion for the provided watch is too old."):
    return ApiError(410, "Expired", message)


def too_old(asked, oldest):
    return expired(f"too old resource version: {asked} ({oldest})")


def too_large_version(asked, current):
    return ApiError(
        504, "Timeout",
        f"Too large resource version: {asked}, current: {current}",
        {"causes": [{"reason": "ResourceVersionTooLarge",
                     "message": "Too large resource version"}],
         "retryAfterSeconds": 1})


class Causes:
    """Collects what is wrong with an object and raises it all as one 422."""

    KINDS = {
        "FieldValueRequired": "Required value",
        "FieldValueInvalid": "Invalid value",
        "FieldValueNotSupported": "Unsupported value",
        "FieldValueDuplicate": "Duplicate value",
        "FieldValueNotFound": "Not found",
        "FieldValueTooLong": "Too long",
        "FieldValueForbidden": "Forbidden",
    }

    def __init__(self, kind, name, group=""):
        self.kind, self.name, self.group = kind, name, group
        self.causes = []

    def add(self, reason, field, value=None, detail=""):
        text = self.KINDS[reason]
        if value is not None and reason not in ("FieldValueRequired",
                                                "FieldValueForbidden"):
            shown = f'"{value}"' if isinstance(value, str) else str(value)
            text += f": {shown}"
        if detail:
            text += f": {detail}"
        self.causes.append({"reason": reason, "message": text, "field": field})

    def required(self, field, detail=""):
        self.add("FieldValueRequired", field, None, detail)

    def invalid(self, field, value, detail):
        self.add("FieldValueInvalid", field, value, detail)

    def duplicate(self, field, value):
        self.add("FieldValueDuplicate", field, value)

    def unsupported(self, field, value, supported):
        listed = ", ".join(f'"{s}"' for s in supported)
        self.add("FieldValueNotSupported", field, value, f"supported values: {listed}")

    def raise_any(self):
        if not self.causes:
            return
        texts = [f'{c["field"]}: {c["message"]}' for c in self.causes]
        joined = texts[0] if len(texts) == 1 else "[" + ", ".join(texts) + "]"
        where = f"{self.kind}.{self.group}" if self.group else self.kind
        details = {"name": self.name, "kind": self.kind, "causes": self.causes}
        if self.group:
            details["group"] = self.group
        raise ApiError(422, "Invalid", f'{where} "{self.name}" is invalid: {joined}',
                       details)
