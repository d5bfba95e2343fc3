"""Widgets that know arrays, not pages."""
