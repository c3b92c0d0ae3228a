"""The jobs that people start: consume, backfill, publish, look after; each made of the stages."""
