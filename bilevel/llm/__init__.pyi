from .client import chat_client as chat_client
from .endpoint import Endpoint as Endpoint
from .recorded import recorded_client as recorded_client
from .scripted import scripted_client as scripted_client
from .session import Client as Client
from .session import Session as Session
