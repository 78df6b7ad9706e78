from .task import Landscape as Landscape
