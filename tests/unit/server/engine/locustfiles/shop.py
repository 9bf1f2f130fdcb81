# ruff: noqa: RUF012 - as users write it
"""A shop's locustfile: login, browse, checkout, with both kinds of HTTP users."""

from locust import FastHttpUser, HttpUser, SequentialTaskSet, constant, events, task


@events.quitting.add_listener
def decide(environment, **_):
    if environment.parsed_options and environment.stats.total.num_requests == 0:
        environment.process_exit_code = 1


class Journey(SequentialTaskSet):
    wait_time = constant(0.02)

    def on_start(self):
        self.client.post("/login", json={"user": "ada"})

    @task
    def browse(self):
        for page in range(2):
            self.client.get(f"/products/{page}", name="/products/[page]")

    @task
    def missing(self):
        with self.client.get("/missing", catch_response=True) as answer:
            if answer.status_code == 404:
                answer.success()

    @task
    def broken(self):
        with self.client.rename_request("broken"):
            self.client.get("/broken")

    @task
    def checkout(self):
        with self.client.post("/checkout", json={"n": 1}, catch_response=True) as answer:
            if answer.text != "ok":
                answer.failure(f"got {answer.text}")


class Shopper(HttpUser):
    tasks = [Journey]


class FastShopper(FastHttpUser):
    tasks = [Journey]
    weight = 3
