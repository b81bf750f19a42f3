"""Unknown fields are refused as fieldValidation=Strict does."""


def check_strict(resource, obj, patched=False):
    pass
