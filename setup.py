"""Everything that pip needs to know, read from settings.ini."""
from configparser import ConfigParser
from pathlib import Path

from setuptools import find_packages, setup

settings = ConfigParser()
settings.read(Path(__file__).with_name("settings.ini"), encoding="utf-8")
config = settings["DEFAULT"]

suffix = "_requirements"
extras = {key.removesuffix(suffix): value.split() for key, value in config.items() if key.endswith(suffix)}
# the tests use every optional package
extras["dev"] += [package for name, packages in extras.items() if name != "dev" for package in packages]

setup(
    name=config["lib_name"],
    version=config["version"],
    description=config["description"],
    long_description=Path(__file__).with_name("README.md").read_text(encoding="utf-8"),
    long_description_content_type="text/markdown",
    author=config["author"],
    author_email=config["author_email"],
    url=config["git_url"],
    license="Apache-2.0",
    keywords=config["keywords"].split(),
    classifiers=[
        "Development Status :: 3 - Alpha",
        "Intended Audience :: Science/Research",
        "Topic :: Scientific/Engineering :: GIS",
        *(f"Programming Language :: Python :: {version}" for version in ("3.11", "3.12", "3.13")),
    ],
    python_requires=">=" + config["min_python"],
    packages=find_packages(include=["scvae_nb", "scvae_nb.*"]),
    install_requires=config["requirements"].split(),
    extras_require=extras,
    entry_points={
        "console_scripts": config["console_scripts"].split("\n"),
        "nbdev": [f"{config['lib_name']}={config['lib_path']}._modidx:d"],
    },
)
