"""What the API offers, a package for each resource; `table` puts them together.

In a package: `handlers` answer requests, `routes` describe them (path, scopes, parameters, errors), `shapes`
are the JSON schemas of bodies and answers, `examples` the documents shown beside them. `RESOURCE` is what the
table takes.

A resource may import `gateway.http` and `lbactors`, and no other resource: shapes and examples of others are
named, what two of them share is in `gateway.http`.
"""
