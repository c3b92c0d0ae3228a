"""The jobs behind the commands: consume, backfill, publish, maintain; each uses the stages."""
