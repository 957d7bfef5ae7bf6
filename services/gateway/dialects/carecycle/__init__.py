"""CareCycle: the status of a customer's campaign enrolment, and the list of customers.

Source: docs.carecycle.ai, "Update customer campaign status" and "Authentication". The page lists
eight bodies without their statuses; here they are 200, 400, 401, 403, 404, 422, 429 and 500.
"""

from services.gateway.dialects.carecycle.dialect import CareCycle

__all__ = ["CareCycle"]
