"""The wire language of Aftercall: frozen models, strict ids, one table of topics. No I/O."""
