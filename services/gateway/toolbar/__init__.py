"""`<aftercall-toolbar>`: an agent's toolbar for the pages of a CRM, and how it is let in.

`tokens` and `origins` decide, `entering` asks them for each native request, `files` serves the
element. The element is plain files beside this module, served as they stand.
"""
