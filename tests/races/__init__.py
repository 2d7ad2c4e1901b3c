"""Races between real processes, on servers behind sockets: whoever comes first, the promises hold."""
