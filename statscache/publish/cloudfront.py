"""CloudFront in front of a target: invalidate it, and wait for completion."""

from typing import Any
from uuid import uuid4

from botocore.exceptions import BotoCoreError, ClientError, WaiterError

from statscache.exceptions import PublishError

WAIT_SECONDS = 900
"""Maximum seconds for an invalidation; one or two minutes are usual."""

PAUSE = 10
"""Seconds between two polls for completion."""


class CloudFront:
    """A distribution.

    Args:
        client: The boto3 client of CloudFront.
        distribution: Id of the distribution.
        path: Where the site's root is below the distribution's, such as `stats/`; empty if they are the same.
    """

    def __init__(self, client: Any, distribution: str, path: str = "") -> None:
        self._client = client
        self._distribution = distribution
        self._paths = [f"/{path}*"]
        self._under_way: str | None = None

    def invalidate(self) -> None:
        """Invalidate the site in the distribution, and return when that is done.

        Called again after a failure, it waits for the invalidation that was requested before.

        Raises:
            PublishError: It was refused, or is not over after `WAIT_SECONDS` seconds.
        """
        try:
            if self._under_way is None:
                batch = {"Paths": {"Quantity": 1, "Items": self._paths}, "CallerReference": uuid4().hex}
                answer = self._client.create_invalidation(DistributionId=self._distribution, InvalidationBatch=batch)
                self._under_way = answer["Invalidation"]["Id"]
            self._client.get_waiter("invalidation_completed").wait(
                DistributionId=self._distribution,
                Id=self._under_way,
                WaiterConfig={"Delay": PAUSE, "MaxAttempts": WAIT_SECONDS // PAUSE},
            )
        except WaiterError as error:
            raise PublishError(
                f"CloudFront distribution {self._distribution}: invalidation {self._under_way} is not over after "
                f"{WAIT_SECONDS} s. Its caches may serve the older snapshot for as long as their max-age says"
            ) from error
        except (BotoCoreError, ClientError) as error:
            raise PublishError(
                f"CloudFront distribution {self._distribution} was not invalidated: {error}. The credentials need "
                "cloudfront:CreateInvalidation and cloudfront:GetInvalidation on it"
            ) from error
        self._under_way = None
