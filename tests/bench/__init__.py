"""The budgets of docs/design.md section 5, measured on a real Kubernetes."""
