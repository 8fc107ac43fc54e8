"""Where recordings are prepared: in processes of this machine, or on a Dask or Ray cluster, through joblib."""

from collections.abc import Iterator
from contextlib import contextmanager

BACKENDS = ("processes", "dask", "ray")
SECONDS_TO_CONNECT = 30


@contextmanager
def parallel_on(backend: str, address: str, jobs: int) -> Iterator[int]:
    """Let joblib's work inside the block go to a backend; yield how many recordings are done at a time (-1: all that
    the cluster has room for).

    address: of a cluster that runs ("tcp://host:8786", for Ray "host:6379" or "auto"), whose workers see the same
    files under the same paths and have this repository on their PYTHONPATH; "" starts one of `jobs` processes here.
    Raises ValueError for an unknown backend, an address without one, a package that is not installed, and a cluster
    that does not answer.
    """
    if backend not in BACKENDS:
        raise ValueError(f"--backend is {backend!r}; known: {', '.join(BACKENDS)}")
    if backend == "processes":
        if address:
            raise ValueError(
                f"--address {address} is that of a cluster: say which with --backend dask or --backend ray"
            )
        yield jobs
        return
    with _dask(address, jobs) if backend == "dask" else _ray(address, jobs):
        yield -1


@contextmanager
def _dask(address: str, jobs: int) -> Iterator[None]:
    from joblib import parallel_config

    try:
        from distributed import Client
    except ModuleNotFoundError as error:
        raise ValueError("--backend dask needs the package 'distributed': pip install distributed") from error
    here = {"n_workers": max(jobs, 1), "threads_per_worker": 1, "dashboard_address": None}
    try:
        client = Client(address, timeout=SECONDS_TO_CONNECT) if address else Client(**here)
    except (OSError, ValueError) as error:
        raise ValueError(f"no Dask scheduler answers at {address}: {' '.join(str(error).split())[:200]}") from error
    with client, parallel_config(backend="dask", wait_for_workers_timeout=SECONDS_TO_CONNECT):
        yield


@contextmanager
def _ray(address: str, jobs: int) -> Iterator[None]:
    from joblib import parallel_config

    try:
        import ray
        from ray.util.joblib import register_ray
    except ModuleNotFoundError as error:
        raise ValueError("--backend ray needs the package 'ray': pip install ray") from error
    try:
        ray.init(address=address) if address else ray.init(num_cpus=max(jobs, 1))
    except (ConnectionError, OSError, ValueError, RuntimeError) as error:
        raise ValueError(f"no Ray cluster answers at {address}: {' '.join(str(error).split())[:200]}") from error
    try:
        register_ray()
        with parallel_config(backend="ray"):
            yield
    finally:
        ray.shutdown()
