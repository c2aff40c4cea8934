"""Adapters to vendors: a frozen call goes in, a frozen reply comes out.

``base`` declares what an adapter offers, ``formats`` translate calls to wire formats and back
without any SDK, the adapters hold one vendor's SDK each, ``factory`` lists them.
"""
