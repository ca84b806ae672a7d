"""Figures and tables of the usual libraries, inline and unchanged."""

import base64
import struct

import pytest

from support.client import Client

pytestmark = pytest.mark.slow


def size(png: str) -> tuple[int, int]:
    """Width and height of a PNG in base64."""
    raw = base64.b64decode(png)
    assert raw[:8] == b"\x89PNG\r\n\x1a\n"
    return struct.unpack(">II", raw[16:24])


def test_matplotlib_inline_by_default(client: Client):
    done = client.run("import matplotlib.pyplot as plt\nplt.plot([1, 2, 3]);")
    data = done.one("display_data")["data"]
    width, height = size(data["image/png"])
    assert width > 200
    assert height > 150
    assert data["text/plain"].startswith("<Figure size")
    assert client.value("plt.get_backend()").strip("'") in (
        "inline",
        "module://matplotlib_inline.backend_inline",
    )


def test_matplotlib_magic_and_formats(client: Client):
    client.run("%matplotlib inline\n%config InlineBackend.figure_formats = ['svg']")
    data = client.run("import matplotlib.pyplot as plt\nplt.plot([1, 2]);").one("display_data")[
        "data"
    ]
    assert "<svg" in data["image/svg+xml"]
    client.run("%config InlineBackend.figure_formats = ['png']")


def test_figures_are_shown_once_and_closed(client: Client):
    done = client.run(
        "import matplotlib.pyplot as plt\nplt.plot([1]); plt.figure(); plt.plot([2]);"
    )
    assert done.trace.count("display_data") == 2
    assert client.run("plt.get_fignums()").result == "[]"


def test_figure_as_result(client: Client):
    done = client.run(
        "%matplotlib inline\nfrom matplotlib.figure import Figure\nf = Figure(); f.subplots().plot([1]); f"
    )
    assert size(done.one("execute_result")["data"]["image/png"])


def test_show_in_the_middle(client: Client):
    done = client.run("import matplotlib.pyplot as plt\nplt.plot([1]); plt.show(); print('after')")
    assert done.trace[2:-1] == ["display_data", "stdout"]


def test_pandas_table(client: Client):
    data = client.run("import pandas as pd\npd.DataFrame({'a': [1, 2]})").one("execute_result")[
        "data"
    ]
    assert "<table" in data["text/html"]
    assert "a" in data["text/plain"]


def test_pandas_style(client: Client):
    code = "import pandas as pd\npd.DataFrame({'a': [1, 2]}).style.format('{:.2f}')"
    assert "1.00" in client.run(code).one("execute_result")["data"]["text/html"]


def test_pandas_describe_of_numpy(client: Client):
    code = "import numpy as np, pandas as pd\nfloat(pd.Series(np.arange(11.)).describe()['50%'])"
    assert client.run(code).result == "5.0"


def test_plotly(client: Client):
    code = "import plotly.graph_objects as go\nimport plotly.io as pio\nfig = go.Figure(go.Scatter(y=[1, 3, 2]))\n"
    data = client.run(code + "fig").one("display_data")["data"]
    assert data["application/vnd.plotly.v1+json"]["data"][0]["type"] == "scatter"
    html = client.run(code + "fig.show('notebook')").all("display_data")[-1]["data"]["text/html"]
    assert "plotly" in html.lower()


def test_numpy_error_state_and_warnings(client: Client):
    done = client.run("import numpy as np\nnp.float64(1) / 0")
    assert "RuntimeWarning" in done.text("stderr")
    assert "inf" in done.result


def test_scipy(client: Client):
    code = "import numpy as np, scipy.linalg\nbool(np.allclose(scipy.linalg.inv(np.eye(3) * 2), np.eye(3) / 2))"
    assert client.run(code).result == "True"
