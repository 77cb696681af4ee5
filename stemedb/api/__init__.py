"""The HTTP service: connections, routes, errors, OpenAPI, and the life of the process.

Promises: every error is a problem document; no thread waits for a client; whoever was connected when the
service is asked to stop gets an answer. May use: `engine`, `query`, `guard`. May not: know what a claim
means, read the environment, or keep state outside the instances it makes.
"""
