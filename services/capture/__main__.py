from services.capture.app import service
from shared.process import main

main(service)
