"""Submit a job by Ray's job API, print its logs as they come, end as the job ended.

A program of its own: Ray keeps the token of the first cluster a process has talked to.

    python follow_job.py DASHBOARD WORKING_DIR|'' ENTRYPOINT
"""

import asyncio
import sys

from ray.job_submission import JobStatus, JobSubmissionClient


async def follow(client: JobSubmissionClient, job: str) -> None:
    async for lines in client.tail_job_logs(job):
        print(lines, end="", flush=True)


def main() -> int:
    dashboard, folder, entrypoint = sys.argv[1:]
    client = JobSubmissionClient(dashboard)
    sent = {"working_dir": folder} if folder else None
    job = client.submit_job(entrypoint=entrypoint, runtime_env=sent)
    asyncio.run(follow(client, job))
    info = client.get_job_info(job)
    print(f"JOB {info.status} exit code {info.driver_exit_code}")
    return 0 if info.status == JobStatus.SUCCEEDED else 1


if __name__ == "__main__":
    sys.exit(main())
