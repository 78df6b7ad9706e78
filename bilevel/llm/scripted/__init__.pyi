from . import minimal as minimal
from .app import respond as respond
from .app import scripted_client as scripted_client
from .app import scripted_digest as scripted_digest
